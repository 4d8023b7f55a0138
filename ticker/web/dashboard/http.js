// Requests to the service that this page is from, as this user.

const TIMEOUT_MS = 10_000;
const TOKEN_KEY = "ticker.token";
const TOO_MANY = 429;
const TRIES = 4;
const LONGEST_WAIT_MS = 5000; // for another try; whoever asked would rather know by then

/**
 * The answer to a GET of a page of the service, as JSON. One that comes too soon behind others, of all that this user has open,
 * is sent again when the service says so. Throws an Error that says why there is no answer; its `retryMs` is the time that the
 * service asks to be left alone, if it does.
 */
export async function get(path, query) {
  for (let tries = 1; ; tries += 1) {
    const token = storedToken();
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const response = await fetch(`${path}?${new URLSearchParams(query)}`, { headers, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (response.ok) return response.json();
    const retryMs = 1000 * response.headers.get("Retry-After") || 0;
    if (response.status !== TOO_MANY || retryMs === 0 || retryMs > LONGEST_WAIT_MS || tries === TRIES) throw await errorOf(response, retryMs);
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}

async function errorOf(response, retryMs) {
  const { message = `HTTP status ${response.status}` } = await response.json().catch(() => ({}));
  return Object.assign(new Error(message), { retryMs });
}

/** The address of the service that this page is from; prices travel over TLS only, however the page has come. */
export function serviceUrl() {
  const url = new URL(".", location.href);
  url.protocol = "https:";
  return url;
}

/** The token of this tab; empty if there is none. */
export function storedToken() {
  try {
    return sessionStorage.getItem(TOKEN_KEY) ?? "";
  } catch {
    return "";
  }
}

/** The rest of a sentence that something is not there: with a token, the service does not tell that from what it may not show. */
export const unlessAllowed = (what) => (storedToken() ? `, or this token does not open ${what}` : "");
