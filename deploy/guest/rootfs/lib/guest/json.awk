# Reads one JSON document and prints each scalar as a line path=value, the names in a
# path joined by dots and places in an array counted from 0. In a value a newline is
# written \n and a backslash \\, so that printf %b gives the text back. Exits with 1 at
# the first thing that is not JSON.

{ text = text $0 "\n" }
END { space(); value(""); space(); exit (bad || text != "") }

function space() { sub(/^[ \t\r\n]+/, "", text) }

# take removes a match of the pattern from the front and returns it.
function take(pattern,    found) {
	if (bad || !match(text, pattern)) { bad = 1; return "" }
	found = substr(text, 1, RLENGTH)
	text = substr(text, RLENGTH + 1)
	return found
}

function value(path,    first) {
	first = substr(text, 1, 1)
	if (first == "{") object(path)
	else if (first == "[") array(path)
	else if (first == "\"") print path "=" string()
	else print path "=" take("^(true|false|null|-?[0-9][-+.eE0-9]*)")
}

function object(path,    name) {
	take("^[{]"); space()
	while (!bad && substr(text, 1, 1) != "}") {
		name = string(); space(); take("^:"); space()
		value(path == "" ? name : path "." name); space()
		if (substr(text, 1, 1) != "}") { take("^,"); space() }
	}
	take("^[}]")
}

function array(path,    place) {
	take("^\\["); space()
	for (place = 0; !bad && substr(text, 1, 1) != "]"; place++) {
		value(path "." place); space()
		if (substr(text, 1, 1) != "]") { take("^,"); space() }
	}
	take("^\\]")
}

function string(    raw, out, mark) {
	raw = take("^\"([^\"\\\\]|\\\\.)*\"")
	raw = substr(raw, 2, length(raw) - 2)
	while (match(raw, /\\./)) {
		out = out substr(raw, 1, RSTART - 1)
		mark = substr(raw, RSTART + 1, 1)
		raw = substr(raw, RSTART + 2)
		if (mark == "n") out = out "\\n"
		else if (mark == "\\") out = out "\\\\"
		else if (mark == "t") out = out "\t"
		else if (mark == "u") { out = out utf8(hex(substr(raw, 1, 4))); raw = substr(raw, 5) }
		else if (mark !~ /[rbf]/) out = out mark
	}
	return out raw
}

function hex(digits,    place, number) {
	for (place = 1; place <= length(digits); place++)
		number = number * 16 + index("0123456789abcdef", tolower(substr(digits, place, 1))) - 1
	return number
}

# utf8 writes a code of the basic plane; the rare halves of a pair become a question mark.
function utf8(code) {
	if (code == 10) return "\\n"
	if (code == 92) return "\\\\"
	if (code < 32 || (code >= 55296 && code < 57344)) return "?"
	if (code < 128) return sprintf("%c", code)
	if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
	return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
}
