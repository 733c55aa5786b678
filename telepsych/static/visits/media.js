/** This device's camera and microphone: opening them, and saying what stands in the way. */

const VIDEO = { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 20, max: 24 }, facingMode: "user" };
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

const PROBLEMS = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "busy",
  AbortError: "busy",
};

/**
 * Opens what can be opened: `{audio, video, problem}`, tracks or null. `problem` is null, or why something is missing:
 * `{part: "both" | "camera" | "microphone", why: "denied" | "missing" | "busy" | "unsupported"}`. Never throws.
 */
export async function openMedia({ camera = true } = {}) {
  if (!navigator.mediaDevices?.getUserMedia) return nothing("both", "unsupported");
  const both = await attempt({ audio: AUDIO, video: camera ? VIDEO : false });
  if (both.stream) return tracksOf(both.stream);
  const sound = camera ? await attempt({ audio: AUDIO }) : both;
  if (sound.stream) return { ...tracksOf(sound.stream), problem: { part: "camera", why: both.why } };
  const picture = camera ? await attempt({ video: VIDEO }) : both;
  if (picture.stream) return { ...tracksOf(picture.stream), problem: { part: "microphone", why: sound.why } };
  return nothing("both", both.why);
}

/** The camera alone, after it was switched off: a track, or null. */
export async function openCamera() {
  const { stream } = await attempt({ video: VIDEO });
  return stream?.getVideoTracks()[0] ?? null;
}

async function attempt(constraints) {
  try {
    return { stream: await navigator.mediaDevices.getUserMedia(constraints) };
  } catch (error) {
    return { why: PROBLEMS[error.name] ?? "busy" };
  }
}

function tracksOf(stream) {
  return { audio: stream.getAudioTracks()[0] ?? null, video: stream.getVideoTracks()[0] ?? null, problem: null };
}

function nothing(part, why) {
  return { audio: null, video: null, problem: { part, why } };
}

/** How loud a microphone is, 0–1, told to `show` while it is connected. */
export class LevelMeter {
  constructor(track, show) {
    this.track = track;
    this.show = show;
  }

  connect() {
    this.context = new AudioContext();
    const analyser = this.context.createAnalyser();
    this.context.createMediaStreamSource(new MediaStream([this.track])).connect(analyser);
    const wave = new Float32Array(analyser.fftSize);
    this.timer = setInterval(() => {
      analyser.getFloatTimeDomainData(wave);
      this.show(loudness(wave));
    }, 100);
    return this.context.resume();
  }

  disconnect() {
    clearInterval(this.timer);
    this.context?.close();
  }
}

/** Root mean square on a scale where ordinary speech reaches about the middle. */
function loudness(wave) {
  const power = wave.reduce((sum, each) => sum + each * each, 0) / wave.length;
  return Math.min(1, Math.sqrt(power) * 4);
}
