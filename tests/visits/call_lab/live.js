/** Stands in for the live connection in the call lab: server-sent events in, small posts out. */
const me = new URLSearchParams(window.location.search).get("me");
const listeners = new Map();

function tell(event, data) {
  for (const act of listeners.get(event) ?? []) act(data);
}

export const live = {
  on(event, act) {
    listeners.set(event, [...(listeners.get(event) ?? []), act]);
  },

  async emit(event, data) {
    const answer = await fetch(`/emit?me=${me}`, { method: "POST", body: JSON.stringify({ event, data }) });
    return answer.json();
  },

  connect() {
    const source = new EventSource(`/events?me=${me}`);
    source.addEventListener("message", ({ data }) => {
      const message = JSON.parse(data);
      tell(message.event, message.data);
    });
    return new Promise((resolve) => {
      source.addEventListener("open", () => {
        tell("connect", {});
        resolve();
      });
    });
  },
};
