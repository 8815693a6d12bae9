"""Tests: literals in, literals out; fakes at the wire."""

import pytest

pytest.register_assert_rewrite("tests.contract_suite")
