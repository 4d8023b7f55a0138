// Why the service cannot be had: a browser does not tell why a WebSocket failed, but an HTTP request does.

const TIMEOUT_MS = 8000;

/**
 * Diagnose how the client's connection has ended, or that it takes long: `end` is its event.
 * @returns {Promise<{kind: "none" | "token" | "refused" | "away", text: string}>}
 */
export async function diagnose(token, { state, status, reason }) {
  if (location.protocol === "http:") return { kind: "refused", text: "This page came without TLS, and prices travel over TLS only: open it over https." };
  if (state === "closed" && status === 401) return refused(token, reason.replace(/^.*?: /, "")); // the client has asked
  if (!navigator.onLine) return { kind: "away", text: "This device is offline." };
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let response;
  try {
    response = await fetch("v1/instruments?match=-", { headers, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    return { kind: "away", text: `${location.host} does not answer.` };
  }
  if (response.ok) return { kind: "none", text: "" };
  const message = await messageOf(response);
  if (response.status === 401) return refused(token, message);
  return { kind: "refused", text: message ? `It says: ${message}.` : `It answers with HTTP status ${response.status}.` };
}

/** Without a token, how programs send one helps nobody here. */
const refused = (token, message) => ({ kind: "token", text: token && message ? `It says: ${message}.` : "" });

/** What the service says; empty of an answer that is not its own. */
async function messageOf(response) {
  const { message } = Object(await response.json().catch(() => null));
  return typeof message === "string" ? message : "";
}
