"""Tests of the JavaScript client and the dashboard, in Node and Chromium."""
