// The buttons above the chart: period, candles or line, volume; kept between visits.

import { load, save } from "./storage.js";

const KEY = "ticker.chart";
const VERSION = 1;
const STYLES = ["candles", "line", null];

const isChoice = (value) =>
  value !== null && typeof value === "object" && /^[1-9][0-9]{0,3}[smhd]$/.test(value.period) && STYLES.includes(value.style) && typeof value.volume === "boolean";

export class ChartControls {
  #page;
  #offered = "";

  /** `changed` is called when the user has chosen something else. */
  constructor(page, changed) {
    this.#page = page;
    const { period, style, volume } = load(KEY, VERSION, isChoice) ?? { period: "1m", style: null, volume: true };
    /** What the user wants; a style of null is what suits the bars. */
    Object.assign(this, { period, style, volume });
    const choose = (choice) => {
      Object.assign(this, choice);
      save(KEY, VERSION, { period: this.period, style: this.style, volume: this.volume });
      changed();
    };
    page.periods.addEventListener("change", (event) => choose({ period: event.target.value }));
    page.chartStyle.addEventListener("change", (event) => choose({ style: event.target.value }));
    page.chartVolume.addEventListener("change", () => choose({ volume: page.chartVolume.checked }));
    page.chartVolume.checked = volume;
  }

  /** Offer the periods of a service. Returns the one to show: the wanted one, or else the first; undefined without any. */
  offer(periods) {
    const chosen = periods.includes(this.period) ? this.period : periods[0];
    const key = [chosen, ...periods].join();
    if (key === this.#offered) return chosen;
    this.#offered = key;
    this.#page.periods.replaceChildren(...periods.map((period) => radio(period, period === chosen)));
    this.#page.chartTools.hidden = periods.length === 0;
    return chosen;
  }

  /** Show how the chart is drawn. */
  show(isLine) {
    for (const input of this.#page.chartStyle.querySelectorAll("input")) {
      const checked = (input.value === "line") === isLine;
      if (input.checked !== checked) input.checked = checked;
    }
  }
}

function radio(period, checked) {
  const [label, input] = [document.createElement("label"), document.createElement("input")];
  Object.assign(input, { type: "radio", name: "period", value: period, checked });
  label.append(input, period);
  return label;
}
