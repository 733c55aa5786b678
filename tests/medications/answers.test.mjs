import assert from "node:assert/strict";
import { test } from "node:test";
import { readStep } from "../../telepsych/static/medications/answers.js";

function form(...pairs) {
  const data = new FormData();
  for (const [name, value] of pairs) data.append(name, value);
  return data;
}

test("nothing chosen is nothing to save, and 'None of these' is an empty list", () => {
  assert.equal(readStep("taking", form()), undefined);
  assert.equal(readStep("effects", form()), undefined);
  assert.deepEqual(readStep("effects", form(["answer", "none"])), []);
  assert.deepEqual(readStep("reasons", form(["answer", "forgot"])), ["forgot"]);
});

test("a half-filled screen is saved as far as it goes", () => {
  assert.deepEqual(readStep("doses", form(["missed", "2"])), { missed: "2", change: null });
  assert.deepEqual(readStep("supply", form(["days", ""], ["unsure", "1"])), { days: "", unsure: true });
  assert.deepEqual(readStep("severity", form(["symptom-rash", "mild"])), { symptoms: { rash: "mild" }, burden: null });
});
