package auth

import (
	"fmt"
	"strings"
)

// parseRule reads one rule: or binds weaker than and, and weaker than not.
func parseRule(text string) (check, error) {
	if strings.TrimSpace(text) == "" {
		return always(true), nil
	}
	p := &ruleParser{tokens: tokenize(text)}
	c, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.at < len(p.tokens) {
		return nil, fmt.Errorf("unexpected %q in rule %q", p.tokens[p.at], text)
	}
	return c, nil
}

// tokenize splits at white space and takes parentheses apart, but not those of %(name)s.
func tokenize(text string) []string {
	var tokens []string
	for _, word := range strings.Fields(text) {
		for strings.HasPrefix(word, "(") {
			tokens = append(tokens, "(")
			word = word[1:]
		}
		closing := 0
		for strings.HasSuffix(word, ")") {
			closing++
			word = word[:len(word)-1]
		}
		if word != "" {
			tokens = append(tokens, word)
		}
		for range closing {
			tokens = append(tokens, ")")
		}
	}
	return tokens
}

type ruleParser struct {
	tokens []string
	at     int
}

func (p *ruleParser) next() string {
	if p.at == len(p.tokens) {
		return ""
	}
	p.at++
	return p.tokens[p.at-1]
}

func (p *ruleParser) accept(token string) bool {
	if p.at < len(p.tokens) && strings.EqualFold(p.tokens[p.at], token) {
		p.at++
		return true
	}
	return false
}

func (p *ruleParser) or() (check, error) {
	list, err := p.list("or", p.and)
	if err != nil || len(list) == 1 {
		return first(list), err
	}
	return anyOf(list), nil
}

func (p *ruleParser) and() (check, error) {
	list, err := p.list("and", p.term)
	if err != nil || len(list) == 1 {
		return first(list), err
	}
	return all(list), nil
}

func first(list []check) check {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

func (p *ruleParser) list(word string, element func() (check, error)) ([]check, error) {
	var list []check
	for {
		c, err := element()
		if err != nil {
			return nil, err
		}
		list = append(list, c)
		if !p.accept(word) {
			return list, nil
		}
	}
}

func (p *ruleParser) term() (check, error) {
	switch token := p.next(); {
	case token == "":
		return nil, fmt.Errorf("the rule ends too early")
	case strings.EqualFold(token, "not"):
		c, err := p.term()
		return negated{c}, err
	case token == "(":
		c, err := p.or()
		if err == nil && !p.accept(")") {
			err = fmt.Errorf("a parenthesis is not closed")
		}
		return c, err
	case token == "@":
		return always(true), nil
	case token == "!":
		return always(false), nil
	default:
		return atom(token)
	}
}

func atom(token string) (check, error) {
	kind, arg, ok := strings.Cut(token, ":")
	if !ok || kind == "" {
		return nil, fmt.Errorf("%q is no check; a check is KIND:VALUE", token)
	}
	switch kind {
	case "role":
		return role(strings.ToLower(arg)), nil
	case "rule":
		return ruleRef(arg), nil
	case "http", "https":
		return nil, fmt.Errorf("checks by HTTP are not supported: %q", token)
	}
	m := match{key: kind, want: arg}
	if unquoted, ok := literal(kind); ok {
		m.key, m.literal = unquoted, true
	}
	if name, ok := strings.CutPrefix(arg, "%("); ok {
		m.want, m.target = strings.TrimSuffix(name, ")s"), true
	}
	return m, nil
}

func literal(s string) (string, bool) {
	switch {
	case s == "None" || s == "True" || s == "False":
		return s, true
	case len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'':
		return s[1 : len(s)-1], true
	}
	return s, false
}
