// A photo on which the reader points at a place: a click is a pixel, a drag a box; arrow keys and Enter do the same.
// The answer is [left, top, right, bottom], each 0..1 of the photo.

const CLICK = 0.01 // a drag shorter than this on both sides is a click
const STEP = 0.02

export default function mount({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector('[data-testid="pointer"]')
  if (!root || !data) return undefined
  const image = root.querySelector("img")
  const mark = root.querySelector(".mark")
  if (image.src !== data.src) image.src = data.src
  image.alt = data.alt
  root.setAttribute("aria-label", data.label)
  root.start ??= null // of a drag: it outlives a new call with new data
  if (!root.start) draw(mark, data.box)
  let cursor = middle(data.box)

  const at = (event) => {
    const box = image.getBoundingClientRect()
    const inside = (value) => Math.min(1, Math.max(0, value))
    return [inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height)]
  }
  const span = (a, b) => {
    const drag = Math.abs(a[0] - b[0]) > CLICK || Math.abs(a[1] - b[1]) > CLICK
    const to = drag ? b : a
    return [Math.min(a[0], to[0]), Math.min(a[1], to[1]), Math.max(a[0], to[0]), Math.max(a[1], to[1])]
  }
  root.onpointerdown = (event) => {
    if (event.button !== 0) return
    root.start = at(event)
    root.setPointerCapture(event.pointerId)
    draw(mark, span(root.start, root.start))
  }
  root.onpointermove = (event) => {
    if (root.start) draw(mark, span(root.start, at(event)))
  }
  root.onpointerup = (event) => {
    if (!root.start) return
    const box = span(root.start, at(event))
    root.start = null
    cursor = middle(box)
    draw(mark, box)
    setStateValue("box", box)
  }
  root.onpointercancel = () => {
    root.start = null
    draw(mark, data.box)
  }
  root.onkeydown = (event) => {
    const move = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key]
    if (move) {
      cursor = cursor.map((value, axis) => Math.min(1, Math.max(0, value + move[axis])))
      draw(mark, [...cursor, ...cursor])
    } else if (event.key === "Enter" || event.key === " ") {
      setStateValue("box", [...cursor, ...cursor])
    } else return
    event.preventDefault()
  }
  return undefined
}

function middle(box) {
  return box ? [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2] : [0.5, 0.5]
}

function draw(mark, box) {
  mark.hidden = !box
  if (!box) return
  mark.classList.toggle("point", box[0] === box[2] && box[1] === box[3])
  mark.style.left = `${box[0] * 100}%`
  mark.style.top = `${box[1] * 100}%`
  mark.style.width = `${(box[2] - box[0]) * 100}%`
  mark.style.height = `${(box[3] - box[1]) * 100}%`
}
