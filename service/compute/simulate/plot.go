package simulate

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// Size of the plot's two panels, in pixels.
const (
	plotWidth, plotHeight = 900, 320
	plotMargin            = 60
	barsHeight            = 240
)

// Plot writes the report as an SVG document: what was taken over time, and how
// full the hosts are at the end.
func (r *Report) Plot(w io.Writer) error {
	var b strings.Builder
	height := plotHeight + barsHeight + 4*plotMargin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", plotWidth+2*plotMargin, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	title := fmt.Sprintf("%d of %d servers placed on %d hosts, scheduler %s", r.Placed, r.Asked, r.Hosts, r.Driver)
	fmt.Fprintf(&b, `<text x="%d" y="24" font-size="16">%s</text>`+"\n", plotMargin, html.EscapeString(title))
	r.plotTime(&b)
	r.plotFill(&b, plotHeight+3*plotMargin)
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// plotTime draws shares over time, and refusals against their greatest number.
func (r *Report) plotTime(b *strings.Builder) {
	last, refused := 0.0, 0
	for _, s := range r.Samples {
		last, refused = max(last, s.At), max(refused, s.Refused)
	}
	x := func(at float64) float64 { return plotMargin + plotWidth*share(at, last) }
	y := func(part float64) float64 { return plotMargin + plotHeight*(1-part) }
	unit, seconds := unitOf(last)
	for i := range 6 {
		part := float64(i) / 5
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.0f%%</text>`+"\n",
			plotMargin, plotMargin+plotWidth, y(part), y(part), plotMargin-6, y(part)+4, 100*part)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%.1f %s</text>`+"\n", x(part*last), plotMargin+plotHeight+18, part*last/seconds, unit)
	}
	for i, line := range []struct {
		name, colour string
		of           func(Sample) float64
	}{
		{"vcpus", "#1f77b4", func(s Sample) float64 { return s.VCPUs }},
		{"memory", "#d62728", func(s Sample) float64 { return s.Memory }},
		{"disk", "#2ca02c", func(s Sample) float64 { return s.Disk }},
		{fmt.Sprintf("refused (of %d)", refused), "#888", func(s Sample) float64 { return share(float64(s.Refused), float64(refused)) }},
	} {
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="`, line.colour)
		for _, s := range r.Samples {
			fmt.Fprintf(b, "%.1f,%.1f ", x(s.At), y(min(1, line.of(s))))
		}
		b.WriteString(`"/>` + "\n")
		fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", plotMargin+10+170*i, plotMargin-8, line.colour, html.EscapeString(line.name))
	}
}

// unitOf is in what so many seconds are told, and how many seconds it has.
func unitOf(last float64) (unit string, seconds float64) {
	switch {
	case last < 120:
		return "s", 1
	case last < 2*3600:
		return "min", 60
	case last < 4*24*3600:
		return "h", 3600
	}
	return "d", 24 * 3600
}

// plotFill draws how many hosts are how full.
func (r *Report) plotFill(b *strings.Builder, top int) {
	most := 1
	for _, n := range r.Fill {
		most = max(most, n)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d">hosts by the share of their memory that is taken at the end</text>`+"\n", plotMargin, top-24) // above the number on the highest bar
	width := float64(plotWidth) / float64(len(r.Fill))
	for i, n := range r.Fill {
		h := float64(barsHeight) * float64(n) / float64(most)
		x := plotMargin + width*float64(i)
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#d62728"/>`+"\n", x+2, float64(top)+barsHeight-h, width-4, h)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%d%%</text>`+"\n", x+width/2, top+barsHeight+16, 100*(i+1)/len(r.Fill))
		if n > 0 {
			fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle">%d</text>`+"\n", x+width/2, float64(top)+barsHeight-h-4, n)
		}
	}
}
