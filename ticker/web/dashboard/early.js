// Opens the stream while the modules are still on their way, which take it over (first_socket.js): three round trips
// less until the first price. A classic script, before the style sheets, for which it would wait otherwise.

"use strict";

(() => {
  function stored() {
    try {
      return sessionStorage.getItem("ticker.token") ?? "";
    } catch {
      return ""; // storage may be switched off
    }
  }

  try {
    const token = stored();
    const url = new URL("v1/stream", location.href);
    url.protocol = "wss:";
    const protocols = ["ticker.v1.msgpack", ...(token ? [`bearer.${token}`] : [])];
    const socket = new WebSocket(url, protocols);
    socket.binaryType = "arraybuffer";
    const events = [];
    socket.onmessage = (event) => events.push(event);
    globalThis.tickerStream = { url: url.href, protocols, socket, events };
  } catch {
    // there is no WebSocket, or the token cannot be in its request: the modules deal with that
  }
})();
