// Requests to the service that this page is from, as this user.

const TIMEOUT_MS = 10_000;
const TOKEN_KEY = "ticker.token";

/** The answer to a GET of a page of the service, as JSON; throws an Error that says why there is none. */
export async function get(path, query) {
  const token = storedToken();
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(`${path}?${new URLSearchParams(query)}`, { headers, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (response.ok) return response.json();
  const { message = `HTTP status ${response.status}` } = await response.json().catch(() => ({}));
  throw new Error(message);
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
