// Texts whose contrast is below 4.5 to 1.
const channel = (value) => {
  const share = value / 255;
  return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
};
const luminance = ([red, green, blue]) =>
  0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
const ground = (element) => {
  for (let one = element; one; one = one.parentElement) {
    const colour = parts(getComputedStyle(one).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const contrast = (one, other) => {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
};
const hasText = (element) =>
  [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
const texts = [...document.querySelectorAll("body *")].filter(
  (element) => hasText(element) && element.checkVisibility() && !element.closest(":disabled"),
);
return texts
  .map((element) => [contrast(parts(getComputedStyle(element).color), ground(element)), element])
  .filter(([value]) => value < 4.5)
  .map(([value, element]) => `${value.toFixed(2)} ${element.outerHTML.slice(0, 100)}`);
