"""A film made of pictures of pages: each stands as long as one needs to read it, and the browser encodes them.

Chromium writes WebM by its own recorder, so that no other program is needed.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path

from playwright.sync_api import Page

WIDTH, HEIGHT = 1280, 720
BITS_PER_SECOND = 175_000
# Draws picture after picture on a canvas while its stream is recorded; answers the film as base64.
ENCODE = """async ({ width, height, rate, scenes }) => {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  const stream = canvas.captureStream(10);
  const recorder = new MediaRecorder(stream, { mimeType: "video/webm;codecs=vp9", videoBitsPerSecond: rate });
  const parts = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  const over = new Promise((resolve) => (recorder.onstop = resolve));
  const pictures = [];
  for (const [data] of scenes) pictures.push(await createImageBitmap(await (await fetch(data)).blob()));
  recorder.start();
  for (const [number, [, caption, milliseconds]] of scenes.entries()) {
    const until = performance.now() + milliseconds;
    do {
      context.drawImage(pictures[number], 0, 0, width, height);
      if (caption) {
        context.font = "600 22px Inter, system-ui, sans-serif";
        const wide = context.measureText(caption).width + 48;
        context.fillStyle = "rgba(17, 24, 39, .92)";
        context.beginPath();
        context.roundRect((width - wide) / 2, height - 74, wide, 50, 12);
        context.fill();
        context.fillStyle = "#fff";
        context.textBaseline = "middle";
        context.fillText(caption, (width - wide) / 2 + 24, height - 48);
      }
      await new Promise((resolve) => setTimeout(resolve, Math.min(100, milliseconds)));
    } while (performance.now() < until);
  }
  recorder.stop();
  await over;
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
}"""


class Film:
    """Takes pictures of one page, each with what is said of it and how long it is shown."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.scenes: list[tuple[str, str, int]] = []
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    @property
    def seconds(self) -> float:
        return sum(milliseconds for _picture, _caption, milliseconds in self.scenes) / 1000

    def show(self, caption: str, seconds: float) -> None:
        taken = self.page.screenshot(type="jpeg", quality=82, animations="disabled")
        self.scenes.append((f"data:image/jpeg;base64,{b64encode(taken).decode()}", caption, round(1000 * seconds)))

    def scroll(self, caption: str, to: int, seconds: float, *, steps: int = 8) -> None:
        """Scroll there in small steps, and stay for so long."""
        start = int(self.page.evaluate("scrollY"))
        for step in range(1, steps + 1):
            self.page.evaluate("to => scrollTo({ top: to, behavior: 'instant' })", start + (to - start) * step // steps)
            self.show(caption, 0.1)
        self.show(caption, seconds)

    def place_of(self, selector: str) -> int:
        """Return how far down the page the first such element is."""
        return int(self.page.locator(selector).first.evaluate("one => one.getBoundingClientRect().top + scrollY"))

    def type(self, caption: str, text: str) -> None:
        for letter in text:
            self.page.keyboard.type(letter)
            self.show(caption, 0.14)

    def write(self, path: Path, *, at_speed: float = 1.0) -> None:
        """Encode what was shown; `at_speed`: so many times faster than it is to be watched."""
        scenes = [[picture, caption, milliseconds / at_speed] for picture, caption, milliseconds in self.scenes]
        encoder = self.page.context.browser.new_page()  # type: ignore[union-attr]
        description = {"width": WIDTH, "height": HEIGHT, "rate": BITS_PER_SECOND, "scenes": scenes}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b64decode(encoder.evaluate(ENCODE, description)))
        encoder.close()
