/** Reading and filling the fields a person types into: texts, choices and ticks; never passwords, files or hidden ones. */
const LEFT_OUT = ["hidden", "password", "file", "submit", "button", "image", "reset"];
const SEPARATOR = "\n";

/** Names and values of a form. Ticks of one name are joined, so that every value is one text. */
export function read(form) {
  return collect(form, (control) => control.value, (control) => control.checked);
}

/** The same as the page came with them, whatever was typed since. */
export function cameWith(form) {
  return collect(form, valueAtFirst, (control) => control.defaultChecked);
}

function collect(form, valueOf, isChosen) {
  const fields = {};
  for (const control of controls(form)) {
    fields[control.name] ??= "";
    if (!isChoice(control)) fields[control.name] = valueOf(control);
    else if (isChosen(control)) fields[control.name] = [fields[control.name], control.value].filter(Boolean).join(SEPARATOR);
  }
  return fields;
}

/** Put values into a form; names it does not have are left out. */
export function fill(form, fields) {
  for (const control of controls(form)) {
    if (!(control.name in fields)) continue;
    if (isChoice(control)) control.checked = fields[control.name].split(SEPARATOR).includes(control.value);
    else control.value = fields[control.name];
  }
}

function valueAtFirst(control) {
  if (control.tagName !== "SELECT") return control.defaultValue;
  const options = [...control.options];
  return (options.find((option) => option.defaultSelected) ?? options[0])?.value ?? "";
}

function controls(form) {
  return [...form.elements].filter(
    (control) =>
      control.name && ["INPUT", "TEXTAREA", "SELECT"].includes(control.tagName) && !LEFT_OUT.includes(control.type) && !("noDraft" in control.dataset),
  );
}

function isChoice(control) {
  return control.type === "radio" || control.type === "checkbox";
}
