package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWebhooks(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "glimpsed.yaml")
	text := "webhooks:\n  - url: https://me:pw@server.example/hook\n    secret_file: hook-secret\n  - {url: 'http://127.0.0.1:9/', types: [update], give_up: 1m}\n"
	for name, content := range map[string]string{file: text, filepath.Join(dir, "hook-secret"): "right-horse\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := Load(Options{File: file, Env: []string{"HOME=" + dir}})
	if err != nil {
		t.Fatal(err)
	}
	w := l.Config.Webhooks
	if len(w) != 2 || w[0].Secret != "right-horse" || w[0].Timeout != 10*time.Second || len(w[0].Types) != 2 ||
		w[1].Secret != "" || len(w[1].Types) != 1 || w[1].GiveUp != time.Minute {
		t.Errorf("got %+v", w)
	}
	var shown strings.Builder
	if err := l.WriteYAML(&shown); err != nil {
		t.Fatal(err)
	}
	if s := shown.String(); strings.Contains(s, "horse") || strings.Contains(s, "pw@") {
		t.Errorf("a secret shows:\n%s", s)
	}
}

func TestBadWebhooks(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "glimpsed.yaml")
	if err := os.WriteFile(file, []byte("webhooks: [{url: ftp://x, secret_file: none}, {types: [start]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(Options{File: file, Env: []string{"HOME=" + dir}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"webhooks[0].url", "webhooks[0].secret_file", "webhooks[1].url"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in:\n%v", want, err)
		}
	}
}
