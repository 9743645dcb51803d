package schedule

// Dedicated counts the processors that a guest of this flavor and image has to
// itself; 0 also where what they ask for is wrong, which Select says.
func Dedicated(f Flavor, i Image) int {
	if f.ExtraSpecs["hw:cpu_policy"] == "" && i.Properties["hw_cpu_policy"] == "" {
		return 0
	}
	g, err := parseNUMA(&Request{Flavor: f, Image: i})
	if err != nil || g == nil {
		return 0
	}
	n := 0
	for _, c := range g.cells {
		n += c.dedicated
	}
	return n
}
