/** What a fresh token changes, as the reply to `auth` says it (PROTOCOL.md, section 5). */

import { malformed } from "./errors.js";
import { isNatural } from "./messages.js";

const MAX_EPOCH = 256; // characters

/**
 * The epoch and the limits that hold from now on. Raises TickerError if they are not valid.
 * @param {Map<string, unknown>} result
 * @param {string} presentEpoch
 * @param {Map<string, number>} presentLimits
 */
export function admissionOf(result, presentEpoch, presentLimits) {
  const { epoch = presentEpoch, limits = presentLimits } = Object.fromEntries(result);
  const valid = limits instanceof Map && [...limits.values()].every(isNatural);
  if (typeof epoch !== "string" || !valid) throw malformed("reply to auth: epoch or limits are not valid");
  checkEpoch(epoch);
  return { epoch, limits: /** @type {Map<string, number>} */ (limits) };
}

/** @param {string} epoch */
export function checkEpoch(epoch) {
  if (epoch.length > MAX_EPOCH) throw malformed(`an epoch of more than ${MAX_EPOCH} characters`);
}
