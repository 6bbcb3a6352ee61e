// Put a TCP proxy between a client and the server. A test can cut it: connections then end as they do when a signal is lost.
import { connect, createServer } from "node:net";

import { WebSocket } from "ws";

import { endpoint } from "./served.mjs";

globalThis.WebSocket ??= WebSocket; // of Node before 22, as its clients are told to do
const { hostname, port } = new URL(endpoint);

/** `endpoint` and `socket` are the proxy's addresses. Nothing passes between `cut()` and `mend()`. */
export async function line() {
  const ends = new Set();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) {
      near.resetAndDestroy();
      return;
    }
    const far = connect(port, hostname);
    for (const [from, to] of [[near, far], [far, near]]) {
      ends.add(from);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        ends.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const address = new URL(endpoint);
  address.port = server.address().port;
  const cut = () => {
    isCut = true;
    for (const end of ends) end.resetAndDestroy();
  };
  return {
    endpoint: address.href,
    socket: address.href.replace(/^http/, "ws"),
    cut,
    mend: () => (isCut = false),
    close() {
      cut();
      server.close();
    },
  };
}
