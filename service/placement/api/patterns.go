package api

import "regexp"

// patterns are what match= and keys= may name: the regular expressions of the
// placement API reference, which clients see in messages.
var patterns = map[string]*regexp.Regexp{
	"class":          regexp.MustCompile(`^[A-Z0-9_]+$`),
	"custom":         regexp.MustCompile(`^CUSTOM_[A-Z0-9_]+$`),
	"uuid":           regexp.MustCompile(`^[0-9a-fA-F-]{36}$`),
	"consumer":       regexp.MustCompile(`^[A-Z0-9_]+$`),
	"consumerfilter": regexp.MustCompile(`^[A-Z0-9_]+$|^all|^unknown$`),
	"limit":          regexp.MustCompile(`^[1-9][0-9]*$`),
	"any":            regexp.MustCompile(``),
}
