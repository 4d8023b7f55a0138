// What the service has answered early.js on a first visit: the instruments to begin with, or that it wants a token.

const REFUSED = 401;
const { headers, answer } = globalThis.tickerFirst ?? {};
let [unread, untold] = [answer, answer];

/**
 * The instruments of the service: those that early.js has asked for, or else as far as `search()` finds them. Throws where it
 * had no answer, or was refused.
 */
export async function firstInstruments(search) {
  const early = unread;
  unread = undefined;
  if (early) {
    const found = await early;
    if (!found?.ok) throw new Error("no answer"); // the body is left for the client
    const { instruments } = await found.json();
    if (instruments.length > 0) return instruments;
  }
  return (await search()).instruments;
}

/** `fetch`, for the client: early.js need not ask twice why there is no stream, if it was told that with the same token. */
export async function firstFetch(url, options) {
  const early = untold;
  untold = undefined;
  if (early && headers.Authorization === options.headers?.Authorization) {
    const over = new Promise((resolve) => options.signal.addEventListener("abort", () => resolve(null)));
    const told = await Promise.race([early, over]);
    if (told?.status === REFUSED) return told;
  }
  return fetch(url, options);
}
