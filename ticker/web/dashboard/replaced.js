// One subscription in the place of another.

/**
 * What `open` subscribes, after which `before` is closed: names of both stay subscribed, unless a connection has no room
 * for both. Throws the client's TickerError if there is none for the new one alone.
 */
export function replaced(before, open) {
  try {
    return open();
  } catch {
    before?.close();
    return open();
  } finally {
    before?.close();
  }
}
