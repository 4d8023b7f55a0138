// Opens the stream while the modules, which take it over (first_socket.js), are still on their way: three round trips
// less until the first price. On a first visit it also asks which instruments there are (first_answer.js). A classic
// script, before the style sheets, for which it would wait otherwise.

"use strict";

(() => {
  function stored(storage, key) {
    try {
      return globalThis[storage].getItem(key) ?? "";
    } catch {
      return ""; // storage may be switched off
    }
  }

  const token = stored("sessionStorage", "ticker.token");
  const isFirst = location.hash.length < 2 && !stored("localStorage", "ticker.lists") && !stored("localStorage", "ticker.list");
  if (isFirst) {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const answer = fetch("v1/instruments?match=*", { headers, cache: "no-store", priority: "low" }).catch(() => null);
    globalThis.tickerFirst = { headers, answer };
  }

  try {
    const url = new URL("v1/stream", location.href);
    url.protocol = "wss:";
    const protocols = ["ticker.v1.msgpack", ...(token ? [`bearer.${token}`] : [])];
    const socket = new WebSocket(url, protocols);
    socket.binaryType = "arraybuffer";
    const events = [];
    socket.onmessage = socket.onclose = (event) => events.push(event);
    globalThis.tickerStream = { url: url.href, protocols, socket, events };
  } catch {
    // there is no WebSocket, or the token cannot be in its request: the modules deal with that
  }
})();
