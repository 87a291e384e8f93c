// SPDX-License-Identifier: GPL-3.0-or-later
// Files for the reader: the API's CSV as it is, and a chart as an SVG that needs no style sheet.
function save(name, type, text) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// The problem's words, or nothing where the file was saved.
export async function saveCsv(path, key, name) {
  const answer = await fetch(path, { headers: { Authorization: `Bearer ${key}` } });
  if (!answer.ok) return (await answer.json()).detail;
  save(name, 'text/csv', await answer.text());
  return '';
}

const STYLES = ['fill', 'fill-opacity', 'stroke', 'stroke-width', 'stroke-dasharray', 'opacity',
  'font-family', 'font-size', 'font-weight', 'text-anchor'];

// What the style sheet gives is written into each element, with variables and themes resolved.
function inline(from, to) {
  const style = getComputedStyle(from);
  for (const name of STYLES) to.setAttribute(name, style.getPropertyValue(name));
  to.removeAttribute('class');
  [...from.children].forEach((child, i) => inline(child, to.children[i]));
}

export function saveSvg(svg, name) {
  const copy = svg.cloneNode(true);
  inline(svg, copy);
  const { width, height } = svg.viewBox.baseVal;
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  copy.setAttribute('width', width);
  copy.setAttribute('height', height);
  const ground = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
  ground.setAttribute('width', width);
  ground.setAttribute('height', height);
  ground.setAttribute('fill', getComputedStyle(document.body).backgroundColor);
  copy.prepend(ground);
  save(name, 'image/svg+xml', new XMLSerializer().serializeToString(copy));
}
