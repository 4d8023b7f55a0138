// The instruments that a first visit begins with: those that early.js has asked for, or else asked for now.

/** The instruments of the service, as far as `search()` finds them. */
export async function firstInstruments(search) {
  const early = globalThis.tickerFirst;
  globalThis.tickerFirst = undefined;
  const { instruments = [] } = (await early) ?? {};
  return instruments.length > 0 ? instruments : (await search()).instruments;
}
