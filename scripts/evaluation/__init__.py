"""Commands that measure a release: evaluate, compare, explain-report, gallery, shortcut-demo."""
