/** The one entry script: connects the page's modules, and what every page has. */
import { start } from "./loader.js";
import { watchForms } from "./once.js";

watchForms(document);
start();
