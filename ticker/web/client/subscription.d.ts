/** A subscription: changes of its names, for listeners as they come and for iterators merged while these are busy. */
import { TypedEventTarget } from "./events.js";
export type TickerError = import("./errors.js").TickerError;
export type Change = import("./events.js").Change;
export type ChangeEvent = import("./events.js").ChangeEvent;
export type ChangedFields = import("./fields.js").ChangedFields;
export type Replica = import("./replica.js").Replica;
export type FieldSet = import("./wanted.js").FieldSet;
export type SubscriptionEvents = {
    change: ChangeEvent;
};
export type Changes = Record<string, ChangedFields>;
/**
 * Iterate over it, or listen to `change`. An iterator gets the present values first and then the changes, merged while
 * it is busy. Leaving a loop does not close the subscription: a later loop goes on.
 *
 * It is *held* until the server has answered for each of its names, and again when a new connection begins: earlier
 * changes are a part of a moment only.
 * @extends {TypedEventTarget<SubscriptionEvents>}
 */
export declare class Subscription extends TypedEventTarget<SubscriptionEvents> {
    #private;
    /** @type {readonly string[]} */
    names: readonly string[];
    /**
     * The fields that it wants of instruments; undefined for all.
     * @internal
     * @readonly
     */
    fields: import("./wanted.js").FieldSet;
    /**
     * @param {string[]} names
     * @param {Replica} copy
     * @param {boolean} held
     * @param {(subscription: Subscription) => void} closed called when the user closes it
     * @param {FieldSet} [fields]
     */
    constructor(names: string[], copy: Replica, held: boolean, closed: (subscription: Subscription) => void, fields?: FieldSet);
    [Symbol.asyncIterator](): this;
    /**
     * The next change; done when the subscription or the client was closed. Rejects with a TickerError if the client gave up.
     * @returns {Promise<IteratorResult<Change, undefined>>}
     */
    next(): Promise<IteratorResult<Change, undefined>>;
    /** Wait until the service has sent all that it has. Rejects with a TickerError if the client gives up. */
    complete(): Promise<void>;
    /** Unsubscribe; changes that no iterator took yet are dropped. */
    close(): void;
}
