// From labels to words of colour: masks, borders, confidence.

export const UNSURE = 38 // grey level of a pixel in which the model has no confidence

// A 256-entry table from label to one RGBA word. Void and hidden classes stay transparent; a highlight dims the rest.
export function colourTable(classes, hidden, highlight, brighten) {
  const table = new Uint32Array(256)
  classes.forEach(({ colour }, id) => {
    if (hidden.has(id)) return
    const alpha = highlight === null || highlight === id ? 255 : 36
    const [r, g, b] = brighten ? colour.map((c) => c + (255 - c) * 0.35) : colour
    table[id] = ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0
  })
  return table
}

export function fillMask(out, { labels }, table) {
  for (let i = 0; i < out.length; i++) out[i] = table[labels[i]]
}

// Full colour at full confidence, dark grey at none; squared, because almost every pixel of a good model is above 0.9.
export function fillConfidence(out, { labels, confidence }, table) {
  const weight = Float32Array.from({ length: 256 }, (_, c) => (c / 255) ** 2)
  for (let i = 0; i < out.length; i++) {
    const word = table[labels[i]]
    const t = weight[confidence[i]]
    const base = UNSURE * (1 - t)
    const r = ((word & 255) * t + base) | 0
    const g = (((word >>> 8) & 255) * t + base) | 0
    const b = (((word >>> 16) & 255) * t + base) | 0
    out[i] = (word & 0xff000000) | (b << 16) | (g << 8) | r
  }
}

// Each side of a border in the colour of its own class; `reach` pixels thick on either side.
export function fillEdges(out, { labels }, table, width, height) {
  const reach = Math.max(1, Math.round(width / 640))
  out.fill(0)
  for (let y = 0; y < height; y++) {
    const up = Math.max(0, y - reach) * width
    const down = Math.min(height - 1, y + reach) * width
    for (let x = 0, i = y * width; x < width; x++, i++) {
      const label = labels[i]
      const left = i - Math.min(x, reach)
      const right = i + Math.min(width - 1 - x, reach)
      if (labels[left] !== label || labels[right] !== label || labels[up + x] !== label || labels[down + x] !== label)
        out[i] = table[label]
    }
  }
}
