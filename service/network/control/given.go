package control

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// attribute is one that a request gives.
type attribute struct {
	name      string
	value     string
	isDefault bool // its value is the one it would have anyway
}

type inputField struct {
	index    int
	name     string
	standard string // the default, as text; "" none
}

var inputFields sync.Map // reflect.Type -> []inputField

// given lists the attributes of an input struct that are set.
func given(input any) []attribute {
	v := reflect.ValueOf(input)
	if !v.IsValid() || v.Kind() != reflect.Struct {
		return nil
	}
	fields, ok := inputFields.Load(v.Type())
	if !ok {
		var list []inputField
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				list = append(list, inputField{i, name, f.Tag.Get("default")})
			}
		}
		fields, _ = inputFields.LoadOrStore(v.Type(), list)
	}
	var list []attribute
	for _, f := range fields.([]inputField) {
		opt := v.Field(f.index)
		if o, ok := opt.Interface().(interface{ Given() bool }); !ok || !o.Given() {
			continue
		}
		value := fmt.Sprint(opt.FieldByName("V").Interface())
		list = append(list, attribute{f.name, value, f.standard != "" && value == f.standard})
	}
	return list
}
