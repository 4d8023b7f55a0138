/** Why no connection can be had, as far as the platform tells: Node by codes of errors, a browser not at all. */

import { errorText } from "./errors.js";
import { excerpt } from "./texts.js";

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/;
const NO_TLS = /SSL|TLS|EPROTO/;
const MAX_CAUSES = 8; // of an error, and of these

/**
 * The reason in one line.
 * @param {unknown} error that of a fetch or a WebSocket
 * @param {string} base
 * @param {typeof globalThis.fetch | null | undefined} fetch
 * @param {number} timeoutMs
 * @returns {Promise<string>}
 */
export async function whyUnreachable(error, base, fetch, timeoutMs) {
  const { host } = new URL(base);
  const known = systemReason(error, host);
  if (known) return known;
  if (globalThis.navigator?.onLine === false) return "this device is offline";
  if (!fetch || !globalThis.document) return `${host} could not be reached: ${excerpt(errorText(error))}`;
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    await fetch(`${base}/healthz`, { mode: "no-cors", cache: "no-store", credentials: "omit", signal });
  } catch {
    return `${host} does not answer, or this browser does not trust its certificate; open ${base}/ in a tab to see which`;
  }
  return `${host} answers, but not to a page of ${globalThis.location?.origin}; name this origin to it (--origin)`;
}

/**
 * The reason in an error of Node; undefined for an error without one.
 * @param {unknown} error
 * @param {string} host
 */
function systemReason(error, host) {
  const { code, message } = systemError(error);
  const name = host.replace(/:\d+$/, "");
  if (error instanceof DOMException && error.name === "TimeoutError") return `${host} did not answer in time`;
  if (!code) return undefined;
  if (code === "ECONNREFUSED") return `nobody listens at ${host} (connection refused); is \`ticker serve\` running?`;
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return `the host name ${name} cannot be resolved (${code})`;
  if (code === "ETIMEDOUT" || code === "UND_ERR_CONNECT_TIMEOUT") return `${host} did not answer in time`;
  if (CERTIFICATE.test(code)) {
    return `the certificate of ${host} is not trusted (${excerpt(message)}); name its authority: NODE_EXTRA_CA_CERTS=FILE`;
  }
  if (NO_TLS.test(code)) return `${host} speaks no TLS that this client knows (${excerpt(message)})`;
  return `${host} could not be reached: ${excerpt(message)} (${excerpt(code)})`;
}

/** @typedef {{code?: unknown, message?: unknown, cause?: unknown, errors?: unknown[]}} Linked */

/**
 * The first error with a code among an error, its causes, and the errors that it groups.
 * @param {unknown} error
 * @returns {{code?: string, message: string}}
 */
function systemError(error) {
  let each = /** @type {Linked | null | undefined} */ (error);
  for (let depth = 0; each && depth < MAX_CAUSES; depth++) {
    const { code, message } = each;
    if (typeof code === "string" && code !== "") return { code, message: String(message || code) };
    each = /** @type {Linked | null | undefined} */ (each.cause ?? each.errors?.[0]);
  }
  return { message: "" };
}
