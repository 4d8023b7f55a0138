// Why the service cannot be had: a browser does not tell why a WebSocket failed, but an HTTP request does.

const TIMEOUT_MS = 8000;

/** @returns {Promise<{kind: "none" | "token" | "refused" | "away", text: string}>} */
export async function diagnose(token) {
  if (location.protocol === "http:") return { kind: "refused", text: "This page came without TLS, and prices travel over TLS only: open it over https." };
  if (!navigator.onLine) return { kind: "away", text: "This device is offline." };
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let response;
  try {
    response = await fetch("v1/instruments?match=-", { headers, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    return { kind: "away", text: `${location.host} does not answer.` };
  }
  if (response.ok) return { kind: "none", text: "" };
  if (response.status === 401 && !token) return { kind: "token", text: "" }; // how programs send one helps nobody here
  const text = await explanation(response);
  return { kind: response.status === 401 ? "token" : "refused", text };
}

async function explanation(response) {
  try {
    const { message } = await response.json();
    if (typeof message === "string") return `It says: ${message}.`;
  } catch {
    // not the service's own answer
  }
  return `It answers with HTTP status ${response.status}.`;
}
