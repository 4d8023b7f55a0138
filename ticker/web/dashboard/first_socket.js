// The stream that early.js has opened, for the client's first connection.

/**
 * A WebSocket: the one that is there already, if it is for the same, or else a new one. What came on it is given to the
 * client as soon as that listens; of one that could not be had (a refusal) that is its end, and it is not tried again.
 */
export function FirstSocket(url, protocols) {
  const early = globalThis.tickerStream;
  globalThis.tickerStream = undefined;
  if (!early) return new WebSocket(url, protocols);
  const { socket, events } = early;
  const same = early.url === url && early.protocols.join() === protocols.join();
  const inVain = events[0]?.type === "close";
  if (!same || (socket.readyState > WebSocket.OPEN && !inVain)) {
    socket.close();
    return new WebSocket(url, protocols);
  }
  queueMicrotask(() => events.forEach((event) => socket[`on${event.type}`]?.(event)));
  return socket;
}
