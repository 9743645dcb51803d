package compute

import "strings"

// Truth reads a text that stands for true or false as upstream does
// (oslo_utils.strutils.bool_from_string); ok is false for one that stands for neither.
func Truth(text string) (v, ok bool) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "1", "t", "true", "on", "y", "yes":
		return true, true
	case "0", "f", "false", "off", "n", "no":
		return false, true
	}
	return false, false
}

// Yes is Truth for those to whom all that is not true is false.
func Yes(text string) bool {
	v, _ := Truth(text)
	return v
}
