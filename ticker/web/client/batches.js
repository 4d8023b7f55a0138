/** Names in batches that each fit into one request. */

import { utf8Length } from "./msgpack.js";

/**
 * Names in batches whose texts each fit into so many bytes.
 * @param {string[]} names
 * @param {number} room
 */
export function batches(names, room) {
  /** @type {string[][]} */
  const made = [];
  let left = 0;
  for (const name of names) {
    const size = utf8Length(name) + 5;
    if (made.length === 0 || size > left) {
      made.push([]);
      left = room;
    }
    made[made.length - 1].push(name);
    left -= size;
  }
  return made;
}
