/** The two transports: a WebSocket, and server-sent events over fetch (PROTOCOL.md, sections 2 and 8). */

import { TickerError, errorText, malformed } from "./errors.js";
import { FETCH_OPTIONS, refusal, stray } from "./http.js";
import { encode } from "./msgpack.js";

/** @typedef {import("./http.js").End} End */

const SUBPROTOCOL = "ticker.v1.msgpack";
const OPEN = 1; // WebSocket.readyState
const CLOSE_AFTER_ERROR_MS = 50;
const FINAL_CLOSE_CODES = new Set([1002, 1003, 1007, 1009]); // an error of this client, which would only repeat

const MAX_MESSAGE = 2 ** 26; // bytes of a message, characters on an event stream

const LOST = "the connection was lost";
/**
 * Callbacks of a transport: a message with its size, a sign of life, the end.
 * @typedef {{message: (payload: ArrayBuffer | string, size: number) => void, heard: () => void, end: (end: End) => void}} Receiver
 */
/** @typedef {{send: (request: object) => void, close: () => void}} Transport */
/**
 * The part of a WebSocket that is used, as browsers, Node and the package `ws` have it.
 * @typedef {{
 *   binaryType: string, readonly readyState: number,
 *   onmessage: ((event: {data: ArrayBuffer | string}) => void) | null,
 *   onerror: ((event: {error?: unknown, message?: string}) => void) | null,
 *   onclose: ((event: {code: number}) => void) | null,
 *   send(data: Uint8Array): void, close(): void,
 * }} Socket
 */
/** @typedef {new (url: string, protocols: string[]) => object} WebSocketClass */

/**
 * @param {string} base
 * @param {string | undefined} token
 * @param {WebSocketClass} WebSocket
 * @param {Receiver} receiver
 * @returns {Transport}
 */
export function openWebSocket(base, token, WebSocket, receiver) {
  const protocols = token === undefined ? [SUBPROTOCOL] : [SUBPROTOCOL, `bearer.${token}`];
  const socket = /** @type {Socket} */ (new WebSocket(`wss${base.slice(5)}/v1/stream`, protocols));
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => receiver.message(data, typeof data === "string" ? data.length : data.byteLength);
  /** @type {unknown} */
  let cause;
  // A close with its code follows an error; but not in Node 20 where there was no connection yet.
  socket.onerror = (event) => {
    cause = event?.error ?? event?.message;
    setTimeout(receiver.end, CLOSE_AFTER_ERROR_MS, { reason: LOST, cause });
  };
  socket.onclose = ({ code }) =>
    receiver.end({ reason: LOST, cause, code, closeCode: code, ...(FINAL_CLOSE_CODES.has(code) && { comeBack: false }) });
  return {
    send: (request) => socket.readyState === OPEN && socket.send(encode(request)),
    close: () => {
      socket.onmessage = socket.onclose = null;
      socket.close();
    },
  };
}

/**
 * @param {string} base
 * @param {string} query
 * @param {Record<string, string>} headers
 * @param {typeof globalThis.fetch} fetch
 * @param {Receiver} receiver
 * @returns {Transport}
 */
export function openEvents(base, query, headers, fetch, receiver) {
  const closed = new AbortController();
  const read = async () => {
    const response = await fetch(`${base}/v1/events?${query}`, { ...FETCH_OPTIONS, headers, signal: closed.signal });
    if (!response.ok) return receiver.end(await refusal(response));
    const type = response.headers.get("Content-Type") ?? "";
    if (!response.body || !type.startsWith("text/event-stream")) return receiver.end(stray(response));
    await readEvents(response.body, receiver);
    receiver.end({ reason: LOST });
  };
  read()
    .catch((error) => receiver.end({ reason: errorText(error), cause: error, refused: error instanceof TickerError }))
    .finally(() => closed.abort()); // the body of an answer that is of no use
  return { send: () => {}, close: () => closed.abort() };
}

/**
 * Read server-sent events until the stream ends (HTML, section 9.2.6); only their data is of interest.
 * @param {ReadableStream<Uint8Array>} body
 * @param {Receiver} receiver
 */
async function readEvents(body, receiver) {
  const reader = body.getReader();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  let data = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    receiver.heard();
    const text = decoder.decode(value, { stream: true });
    if (rest.length + data.length > MAX_MESSAGE) throw malformed(`an event of more than ${MAX_MESSAGE} characters`);
    if (!text.includes("\n")) {
      rest += text; // and not split again: a long line comes in many pieces
      continue;
    }
    const lines = (rest + text).split(/\r?\n/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("data:")) data += line.slice(line[5] === " " ? 6 : 5);
      else if (line === "" && data !== "") {
        const payload = data;
        data = "";
        receiver.message(payload, payload.length);
      }
    }
  }
}
