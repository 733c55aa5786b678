/** Starts the module that a lab page names, and leaves it where a test can look at its connections. */
const element = document.querySelector("[data-module]");
const { default: Module } = await import(`/static/${element.dataset.module}.js`);
window.lab = new Module(element);
await window.lab.connect();
