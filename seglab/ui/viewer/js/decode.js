// What viewer.py packed becomes pixels again, once for each content.

import { newCanvas } from "./dom.js"

export const CACHE_ENTRIES = 32

export const cache = new Map() // content hash -> promise of decoded data; outlives a remount

function cached(hash, make) {
  const value = cache.get(hash) ?? make()
  cache.delete(hash)
  cache.set(hash, value)
  while (cache.size > CACHE_ENTRIES) cache.delete(cache.keys().next().value)
  value.catch(() => cache.delete(hash))
  return value
}

async function inflate(base64, length) {
  const text = atob(base64)
  const packed = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i)
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))
  const pixels = new Uint8Array(await new Response(stream).arrayBuffer())
  if (pixels.length !== length) throw new Error(`expected ${length} pixels, got ${pixels.length}`)
  return pixels
}

function decodePixels(packed, length) {
  return packed ? cached(packed.hash, () => inflate(packed.zlib, length)) : Promise.resolve(null)
}

export function decodePhoto({ hash, src }, width, height) {
  return cached(`photo ${hash}`, async () => {
    const image = new Image()
    image.src = src
    await image.decode()
    const canvas = newCanvas(width, height)
    canvas.getContext("2d").drawImage(image, 0, 0, width, height)
    return canvas
  })
}

export async function decodePanel(panel, width, height) {
  if (panel.status !== "ready") return { ...panel, labels: null, confidence: null }
  try {
    const [labels, confidence] = await Promise.all([
      decodePixels(panel.labels, width * height),
      decodePixels(panel.confidence, width * height),
    ])
    const hash = `${panel.labels.hash} ${panel.confidence?.hash}`
    return { ...panel, labels, confidence, hash, counts: countLabels(labels) }
  } catch (error) {
    return { ...panel, status: "failed", message: `This result could not be unpacked: ${error.message}.`, labels: null }
  }
}

function countLabels(labels) {
  const counts = new Uint32Array(256)
  for (let i = 0; i < labels.length; i++) counts[labels[i]]++
  return counts
}
