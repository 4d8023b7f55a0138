// How an alert is told outside of the list: a short sound, and a notification of the system, each where the user wants it.

const TONES = [880, 1175]; // Hz, one after the other
const TONE_SECONDS = 0.14;
const LOUDNESS = 0.12;

export class Bell {
  #audio = null;

  constructor() {
    // Browsers let a page sound only after somebody has touched it.
    const wake = () => this.#audio?.state === "suspended" && this.#audio.resume();
    for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, wake, { passive: true });
  }

  /** Make ready for a sound; called when the user wants one. */
  prepare() {
    this.#audio ??= new AudioContext();
  }

  ring() {
    this.prepare();
    const { currentTime, destination } = this.#audio;
    TONES.forEach((frequency, index) => {
      const [tone, volume] = [this.#audio.createOscillator(), this.#audio.createGain()];
      const begin = currentTime + index * TONE_SECONDS;
      tone.frequency.value = frequency;
      volume.gain.setValueAtTime(LOUDNESS, begin);
      volume.gain.exponentialRampToValueAtTime(0.001, begin + TONE_SECONDS);
      tone.connect(volume).connect(destination);
      tone.start(begin);
      tone.stop(begin + TONE_SECONDS);
    });
  }

  /** Whether the system shows notifications of this page; the user is asked for it if that was not decided yet. */
  async mayNotify() {
    if (!("Notification" in globalThis)) return false;
    return (Notification.permission === "default" ? await Notification.requestPermission() : Notification.permission) === "granted";
  }

  notify(id, text) {
    if (!("Notification" in globalThis) || Notification.permission !== "granted") return;
    try {
      const shown = new Notification("Ticker", { body: text, tag: `ticker-${id}` }); // the same tag: two tabs show it once
      shown.addEventListener("click", () => globalThis.focus());
    } catch {
      // some systems let only service workers notify
    }
  }
}
