"""Tests of chapter 12."""
