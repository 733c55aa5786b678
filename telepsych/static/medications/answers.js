/** The answer of a check-in step out of its form's fields, as the server takes it. Pure: takes FormData. */
const NOTHING = "none";
const SYMPTOM = "symptom-";

const listed = (data) => {
  const chosen = data.getAll("answer");
  return chosen.length ? chosen.filter((one) => one !== NOTHING) : undefined;
};

const readers = {
  taking: (data) => data.get("answer") ?? undefined,
  effects: listed,
  reasons: listed,
  doses: (data) => ({ missed: data.get("missed"), change: data.get("change") }),
  supply: (data) => ({ days: data.get("days"), unsure: data.has("unsure") }),
  severity: (data) => {
    const levels = [...data].filter(([name]) => name.startsWith(SYMPTOM));
    const symptoms = Object.fromEntries(levels.map(([name, level]) => [name.slice(SYMPTOM.length), level]));
    return { symptoms, burden: data.get("burden") };
  },
};

export function readStep(kind, data) {
  return readers[kind](data);
}
