// The segmentation viewer: decodes what Python packed, paints it, and answers every control without the server.
// One Viewer lives per mounted component; Streamlit calls the default export again whenever its data or theme changes.

import { keyboard } from "./keyboard.js"
import { legend } from "./legend.js"
import { paint } from "./paint.js"
import { panels } from "./panels.js"
import { pointer } from "./pointer.js"
import { readout } from "./readout.js"
import { Viewer, viewers } from "./state.js"
import { swipe } from "./swipe.js"
import { toolbar } from "./toolbar.js"
import { zoom } from "./zoom.js"

const latest = new Map() // name of the component -> its last Viewer

Object.assign(Viewer.prototype, toolbar, panels, legend, swipe, zoom, pointer, keyboard, readout, paint)

export default function mount({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector('[data-testid="viewer"]')
  if (!root || !data) return undefined
  let viewer = viewers.get(root)
  if (!viewer) {
    viewer = new Viewer(root, latest.get(data.name))
    viewers.set(root, viewer)
    latest.set(data.name, viewer)
  }
  viewer.send = (view) => setStateValue("view", view)
  viewer.receive(data)
  // Streamlit also runs the cleanup of a call that a newer one overtook, so ask the page whether we are really gone.
  return () => setTimeout(() => root.isConnected || viewer.dispose(), 0)
}
