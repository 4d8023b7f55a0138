/** The comparison of a copy with the server's, by their checksums (PROTOCOL.md, section 5). */

import { malformed } from "./errors.js";
import { isNatural } from "./messages.js";

/**
 * Whether both copies are equal at a cut; undefined if this copy is at another one, which proves nothing.
 * @typedef {{cut: number, equal: boolean | undefined}} Verdict
 */

/**
 * Compare the copy with the result of `digest`.
 * @param {Map<string, unknown>} result
 * @param {import("./replica.js").Replica} copy
 * @returns {Verdict}
 */
export function verdictOf(result, copy) {
  const [cut, digest] = [result.get("cut"), result.get("digest")];
  if (!isNatural(cut) || !isNatural(digest)) throw malformed("reply to digest: cut or digest are not valid");
  return { cut, equal: cut === copy.cursor ? digest === copy.digest() : undefined };
}
