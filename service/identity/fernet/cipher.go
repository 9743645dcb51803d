package fernet

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Key is 16 bytes that sign and 16 that encrypt.
type Key [32]byte

// ParseKey reads a key as key files have it: base64 with the URL alphabet.
func ParseKey(text string) (Key, error) {
	var k Key
	data, err := base64.URLEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(data) != len(k) {
		return k, fmt.Errorf("a Fernet key is %d bytes in base64", len(k))
	}
	copy(k[:], data)
	return k, nil
}

// String is the key as key files have it.
func (k Key) String() string { return base64.URLEncoding.EncodeToString(k[:]) }

const (
	version   = 0x80
	headerLen = 1 + 8 + aes.BlockSize // version, time, initialization vector
	macLen    = sha256.Size
	// maxText bounds the text of a token before anything is computed with it.
	maxText = 64 << 10
)

// ErrInvalid is what a text is that no key of ours has made.
var ErrInvalid = errors.New("fernet: not made with any of the keys")

// Seal encrypts and signs data with k. The time, to the second, can be read by
// Open; random gives the initialization vector.
func Seal(k Key, data []byte, at time.Time, random io.Reader) (string, error) {
	padding := aes.BlockSize - len(data)%aes.BlockSize
	out := make([]byte, headerLen+len(data)+padding, headerLen+len(data)+padding+macLen)
	out[0] = version
	binary.BigEndian.PutUint64(out[1:], uint64(at.Unix()))
	iv := out[9:headerLen]
	if _, err := io.ReadFull(random, iv); err != nil {
		return "", fmt.Errorf("fernet: %w", err)
	}
	body := out[headerLen:]
	copy(body, data)
	for i := len(data); i < len(body); i++ {
		body[i] = byte(padding)
	}
	block, err := aes.NewCipher(k[16:])
	if err != nil {
		return "", fmt.Errorf("fernet: %w", err)
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(body, body)
	return base64.RawURLEncoding.EncodeToString(append(out, mac(k, out)...)), nil
}

// Open returns what text holds and when it was made, if one of keys made it;
// ErrInvalid otherwise.
func Open(keys []Key, text string) ([]byte, time.Time, error) {
	if len(text) > maxText {
		return nil, time.Time{}, ErrInvalid
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil || len(raw) < headerLen+aes.BlockSize+macLen || raw[0] != version ||
		(len(raw)-headerLen-macLen)%aes.BlockSize != 0 {
		return nil, time.Time{}, ErrInvalid
	}
	signed, sum := raw[:len(raw)-macLen], raw[len(raw)-macLen:]
	for _, k := range keys {
		if hmac.Equal(mac(k, signed), sum) {
			return decrypt(k, signed)
		}
	}
	return nil, time.Time{}, ErrInvalid
}

func decrypt(k Key, signed []byte) ([]byte, time.Time, error) {
	block, err := aes.NewCipher(k[16:])
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("fernet: %w", err)
	}
	body := signed[headerLen:]
	cipher.NewCBCDecrypter(block, signed[9:headerLen]).CryptBlocks(body, body)
	padding := int(body[len(body)-1])
	if padding == 0 || padding > aes.BlockSize {
		return nil, time.Time{}, ErrInvalid
	}
	at := time.Unix(int64(binary.BigEndian.Uint64(signed[1:])), 0).UTC()
	return body[:len(body)-padding], at, nil
}

func mac(k Key, data []byte) []byte {
	h := hmac.New(sha256.New, k[:16])
	h.Write(data)
	return h.Sum(nil)
}
