/** The two transports: a WebSocket, and server-sent events over fetch (PROTOCOL.md, sections 2 and 8). */

import { errorText } from "./errors.js";
import { FETCH_OPTIONS, refusal } from "./http.js";
import { encode } from "./msgpack.js";

/** @typedef {import("./http.js").End} End */

const SUBPROTOCOL = "ticker.v1.msgpack";
const OPEN = 1; // WebSocket.readyState
const CLOSE_AFTER_ERROR_MS = 50;
const FINAL_CLOSE_CODES = new Set([1002, 1003, 1007, 1009]); // an error of this client, which would only repeat

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
 *   onerror: (() => void) | null,
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
  // A close with its code follows an error; but not in Node 20 where there was no connection yet.
  socket.onerror = () => setTimeout(receiver.end, CLOSE_AFTER_ERROR_MS, { reason: LOST });
  socket.onclose = ({ code }) =>
    receiver.end({ reason: LOST, code, closeCode: code, ...(FINAL_CLOSE_CODES.has(code) && { comeBack: false }) });
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
    if (!response.ok || !response.body) return receiver.end(await refusal(response));
    await readEvents(response.body, receiver);
    receiver.end({ reason: LOST });
  };
  read().catch((error) => receiver.end({ reason: errorText(error) }));
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
    const lines = (rest + decoder.decode(value, { stream: true })).split(/\r?\n/);
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
