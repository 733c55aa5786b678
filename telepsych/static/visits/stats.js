/** Reads one connection's figures into the sample that quality.js judges. */

/** `{audio, video}` says what the other person is known to be sending. */
export async function takeSample(connection, now, { audio, video }) {
  const reports = [...(await connection.getStats()).values()];
  const inbound = (kind) => reports.find((each) => each.type === "inbound-rtp" && each.kind === kind) ?? {};
  const theirs = reports.find((each) => each.type === "remote-inbound-rtp" && each.kind === "audio") ?? {};
  const pair = chosenPair(reports);
  const heard = inbound("audio");
  const seen = inbound("video");
  return {
    at: now,
    concealed: heard.concealedSamples ?? 0,
    heard: heard.totalSamplesReceived ?? 0,
    lost: heard.packetsLost ?? 0,
    packets: heard.packetsReceived ?? 0,
    lostOut: theirs.fractionLost ?? null,
    rtt: pair.currentRoundTripTime || theirs.roundTripTime || null,
    replies: (pair.responsesReceived ?? 0) + (theirs.roundTripTimeMeasurements ?? 0),
    frozen: seen.totalFreezesDuration ?? 0,
    frames: seen.framesDecoded ?? 0,
    outgoing: pair.availableOutgoingBitrate ?? null,
    audio,
    video,
  };
}

function chosenPair(reports) {
  const transport = reports.find((each) => each.type === "transport");
  return reports.find((each) => each.id === transport?.selectedCandidatePairId) ?? {};
}
