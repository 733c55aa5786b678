/**
 * Builds the front end: one stylesheet, one entry script with a chunk for each page module, one icon sprite, fonts and
 * the licences of what was used. Names hold a hash of the content; manifest.json maps plain names to them.
 *
 * Run by telepsych/web/assets.py, in the repository's root, with the packages of package-lock.json installed.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { createRequire } from "node:module";

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "../..");
const templates = resolve(here, "../templates");
const dist = join(here, "dist");
const fresh = join(here, `dist.${process.pid}`);
const require = createRequire(join(root, "package.json"));
const { build } = require("esbuild");
const icons = dirname(require.resolve("lucide-static/icons/house.svg"));

const FONTS = {
  "interface.woff2": "atkinson-hyperlegible-next-latin-wght-normal",
  "display.woff2": "newsreader-latin-wght-normal",
};
const ALWAYS_USED = ["lucide-static", ...["atkinson-hyperlegible-next", "newsreader"].map((name) => `@fontsource-variable/${name}`)];

/** Error texts of socket.io-client name pages on its makers' site: nothing we serve names another host. */
const withoutAddresses = {
  name: "telepsych-without-addresses",
  setup(set) {
    set.onLoad({ filter: /node_modules\/socket\.io-client\/.*\.js$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      return { contents: text.replace(/https:\/\/socket\.io\/[\w./-]*/g, ""), loader: "js" };
    });
  },
};

await rm(fresh, { recursive: true, force: true });
await mkdir(fresh, { recursive: true });
const names = await filesUnder(here);
const bundles = await bundle(names);
const manifest = {
  ...bundles.files,
  "sprite.svg": await keep("sprite.svg", await sprite(names)),
  "mark.svg": await keep("mark.svg", await readFile(join(here, "shared/mark.svg"), "utf8")),
  "notices.txt": await keep("notices.txt", await notices(bundles.packages)),
};
await writeFile(join(fresh, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
await rm(dist, { recursive: true, force: true });
await rename(fresh, dist);

/** Scripts, styles and fonts. Answers their names and the packages they came from. */
async function bundle(sources) {
  const result = await build({
    absWorkingDir: here,
    entryPoints: { main: "shared/main.js", style: "telepsych:style" },
    outdir: fresh,
    bundle: true,
    format: "esm",
    splitting: true,
    minify: true,
    target: "es2022",
    nodePaths: [join(root, "node_modules")],
    entryNames: "[name]-[hash]",
    chunkNames: "part-[hash]",
    assetNames: "[name]-[hash]",
    loader: { ".woff2": "file" },
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
    plugins: [withoutAddresses, written("modules", "js", registry(await pageModules(sources))), written("style", "css", styles(sources))],
  });
  const files = {};
  const packages = new Set();
  for (const [output, { entryPoint, inputs }] of Object.entries(result.metafile.outputs)) {
    const file = basename(output);
    const plain = plainName(file, entryPoint);
    if (plain) files[plain] = file;
    for (const input of Object.keys(inputs)) {
      const found = input.match(/.*node_modules\/((?:@[^/]+\/)?[^/]+)\//);
      if (found) packages.add(found[1]);
    }
  }
  return { files, packages };
}

/** The name that templates ask for: of the two entries and the fonts; chunks are found by the entry itself. */
function plainName(file, entryPoint) {
  if (file.endsWith(".css")) return "style.css";
  if (entryPoint === "shared/main.js") return "main.js";
  return Object.keys(FONTS).find((name) => file.startsWith(`${FONTS[name]}-`));
}

/** An esbuild plugin that answers `telepsych:<name>` with this text. */
function written(name, loader, contents) {
  return {
    name: `telepsych-${name}`,
    setup(set) {
      const filter = new RegExp(`^telepsych:${name}$`);
      set.onResolve({ filter }, ({ path }) => ({ path, namespace: "telepsych" }));
      set.onLoad({ filter, namespace: "telepsych" }, () => ({ contents, loader, resolveDir: here }));
    },
  };
}

/** What `data-module` may name: every `<room>/<name>.js` whose default export is a class. */
async function pageModules(sources) {
  const scripts = sources.filter((name) => /^[^/]+\/[^/]+\.js$/.test(name));
  const texts = await Promise.all(scripts.map((name) => readFile(join(here, name), "utf8")));
  return scripts.filter((_, place) => /^export default class/m.test(texts[place])).map((name) => name.slice(0, -3));
}

function registry(modules) {
  const lines = modules.map((name) => `  ${JSON.stringify(name)}: () => import(${JSON.stringify(`./${name}.js`)}),`);
  return `export const modules = {\n${lines.join("\n")}\n};\n`;
}

/** The shared stylesheet, and every room's own on top of it. */
function styles(sources) {
  const rooms = sources.filter((name) => name.endsWith(".css") && !name.startsWith("shared/"));
  return ["shared/style.css", ...rooms].map((name) => `@import ${JSON.stringify(`./${name}`)};`).join("\n");
}

/** One SVG with a symbol for every icon that a template, a script or icons.txt names. */
async function sprite(sources) {
  const symbols = [];
  for (const name of await iconNames(sources)) {
    const drawing = await readFile(join(icons, `${name}.svg`), "utf8").catch(() => null);
    if (drawing) symbols.push(`<symbol id="${name}" viewBox="0 0 24 24">${inside(drawing)}</symbol>`);
    else process.stderr.write(`There is no icon called ${name}.\n`);
  }
  return `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join("")}</svg>\n`;
}

async function iconNames(sources) {
  const listed = (await readFile(join(here, "shared/icons.txt"), "utf8")).split("\n").filter((line) => /^[a-z]/.test(line));
  const pages = (await filesUnder(templates)).map((name) => join(templates, name));
  const scripts = sources.filter((name) => name.endsWith(".js")).map((name) => join(here, name));
  const found = new Set(listed.map((line) => line.trim()));
  for (const place of [...pages, ...scripts]) {
    const text = await readFile(place, "utf8");
    for (const [, name] of text.matchAll(/\b_?icon(?:\(|=)\s*["']([a-z0-9-]+)["']/g)) found.add(name);
  }
  return [...found].sort();
}

function inside(drawing) {
  return drawing.replace(/<!--.*?-->/gs, "").replace(/^[^<]*<svg[^>]*>/s, "").replace("</svg>", "").replace(/\s*\n\s*/g, "");
}

/** The licence text of every package whose code, drawings or letters are in the built files. */
async function notices(packages) {
  const parts = [];
  for (const name of [...new Set([...packages, ...ALWAYS_USED])].sort()) {
    const folder = join(root, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((each) => /^licen[cs]e/i.test(each));
    const text = file ? await readFile(join(folder, file), "utf8") : `Licence: ${license}`;
    parts.push(`${name} ${version} (${license ?? "see below"})\n\n${text.trim()}\n`);
  }
  return parts.join(`\n${"-".repeat(72)}\n\n`);
}

/** Write a file under a name with its hash, and answer that name. */
async function keep(name, text) {
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 8).toUpperCase();
  const [stem, ending] = name.split(".");
  const file = `${stem}-${hash}.${ending}`;
  await writeFile(join(fresh, file), text);
  return file;
}

async function filesUnder(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((name) => !/^dist/.test(name))
    .sort();
}
