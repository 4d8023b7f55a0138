/**
 * The times of bars: when one is over, and the bars of periods in which nothing was traded.
 *
 * The start of a bar is its true one. Hours and shorter periods all have one length; a day, in a zone with daylight-saving
 * time, may have 23 or 25 hours, and which zone the service has is not known here.
 */
export type Bar = import("./rows.js").Bar;
/**
 * The length of a period such as `1m`, in seconds.
 * @param {string} period
 */
export declare const periodSeconds: (period: string) => number;
/**
 * The time at which a bar is over for certain, if no later one says so before. A day that does not begin at midnight UTC
 * may have 25 hours.
 * @param {number} start
 * @param {number} seconds
 */
export declare const barEnd: (start: number, seconds: number) => number;
/**
 * The latest bars, at most `most`, with one for each period up to `now` in which there is none. Days are taken as 24 hours
 * long between two bars: the start of a filled one may be an hour off.
 * @param {readonly Bar[]} bars in ascending order
 * @param {number} seconds
 * @param {number} now in seconds
 * @param {number} most
 * @param {(bar: Bar, start: number) => Bar} emptyBar the bar of a period behind this one in which nothing was traded
 */
export declare function filled(bars: readonly Bar[], seconds: number, now: number, most: number, emptyBar: (bar: Bar, start: number) => Bar): import("./rows.js").Bar[];
