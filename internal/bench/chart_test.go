package bench

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// Chart is a picture of horizontal bars, each with its target.
type Chart struct {
	Title, Axis string
	Unit        string // of the values
	Bars        []Bar
}

// Bar is one of them.
type Bar struct {
	Label         string
	Value, Target float64 // Target 0: none
	Met           bool
}

// In pixels of the picture, which scales.
const (
	chartWidth = 860
	barHeight  = 18
	barStep    = 26
	chartTop   = 62 // above the first bar
	chartFoot  = 52 // below the last
	letter     = 7  // wide, about
	valueRoom  = 70 // for the figure behind the longest bar
)

const chartStyle = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", "Helvetica Neue", sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .quiet { fill: #59636e; font-size: 12px }
  .figure { font-variant-numeric: tabular-nums }
  .paper { fill: #ffffff }
  .grid { stroke: #d1d9e0 }
  .bar { fill: #2f7dd1 }
  .short { fill: #d9822b }
  .target { stroke: #1f2328; stroke-width: 2.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .quiet { fill: #9198a1 }
    .paper { fill: #0d1117 }
    .grid { stroke: #3d444d }
    .bar { fill: #4493f8 }
    .short { fill: #e0823d }
    .target { stroke: #f0f6fc }
  }
`

// SVG returns the picture, for light and dark pages.
func (c Chart) SVG() string {
	left, most := 0, 0.0
	for _, b := range c.Bars {
		left = max(left, 28+letter*utf8.RuneCountInString(b.Label))
		most = max(most, b.Value, b.Target)
	}
	step := tick(most)
	most = step * max(1, math.Ceil(most/step))
	bottom := chartTop + barStep*len(c.Bars)
	x := func(value float64) float64 {
		return float64(left) + value/most*float64(chartWidth-left-valueRoom)
	}

	var out strings.Builder
	put := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	put(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="title">`, chartWidth,
		bottom+chartFoot)
	put(`<title id="title">%s</title>`, escape(c.Title))
	put(`<style>%s</style>`, chartStyle)
	put(`<rect class="paper" width="100%%" height="100%%" rx="6"/>`)
	put(`<text class="title" x="16" y="28">%s</text>`, escape(c.Title))
	put(`<text class="quiet" x="16" y="47">%s %s</text>`, escape(c.Unit), escape(c.Axis))
	for i := 0; float64(i)*step <= most; i++ {
		value := float64(i) * step
		put(`<path class="grid" d="M%.1f %dV%d"/>`, x(value), chartTop-4, bottom+4)
		put(`<text class="quiet figure" x="%.1f" y="%d" text-anchor="middle">%s</text>`, x(value), bottom+20,
			escape(c.value(value)))
	}
	for i, b := range c.Bars {
		top := chartTop + barStep*i + (barStep-barHeight)/2
		class := "bar"
		if !b.Met {
			class = "short"
		}
		put(`<text x="%d" y="%d" text-anchor="end">%s</text>`, left-10, top+14, escape(b.Label))
		put(`<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`, class, left, top,
			x(b.Value)-float64(left),
			barHeight)
		if b.Target > 0 {
			put(`<path class="target" d="M%.1f %dv%d"/>`, x(b.Target), top-3, barHeight+6)
		}
		put(`<text class="figure" x="%.1f" y="%d">%s</text>`, afterBar(x(b.Value), x(b.Target), b.Target > 0,
			len(c.value(b.Value))), top+14, escape(c.value(b.Value)))
	}
	foot := bottom + 42
	put(`<path class="target" d="M%d %dv14"/><text class="quiet" x="%d" y="%d">target</text>`, left+2, foot-11, left+10,
		foot)
	put(`<rect class="short" x="%d" y="%d" width="14" height="12" rx="2"/><text class="quiet" x="%d" y="%d">a target `+
		`is missed</text>`, left+66, foot-10, left+86, foot)
	put(`</svg>`)
	return out.String()
}

// value formats a figure.
func (c Chart) value(v float64) string {
	switch {
	case c.Unit == "×":
		return fmt.Sprintf("%.2f ×", v)
	case v != 0 && v < 10:
		return fmt.Sprintf("%.1f %s", v, c.Unit)
	default:
		return fmt.Sprintf("%.0f %s", v, c.Unit)
	}
}

// afterBar returns where a bar's figure begins: behind the bar, or behind the line of the target if that would cross
// the figure.
func afterBar(end, target float64, has bool, length int) float64 {
	begin := end + 8
	if has && target > end-2 && target < begin+float64(letter*length) {
		begin = target + 8
	}
	return begin
}

// tick returns the distance of grid lines that gives four to eight of them.
func tick(most float64) float64 {
	if most <= 0 {
		return 1
	}
	size := math.Pow(10, math.Floor(math.Log10(most/4)))
	for _, factor := range []float64{1, 2, 2.5, 5} {
		if most/(factor*size) <= 8 {
			return factor * size
		}
	}
	return 10 * size
}

func escape(text string) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(text)) // a strings.Builder takes all
	return out.String()
}
