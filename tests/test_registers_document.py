"""`docs/registers.md` is what the declarations say, and holds every field of every map."""

from agent.maps import cmis_fields, document
from tests.conftest import ROOT


def test_registers_document_is_fresh() -> None:
    assert (ROOT / "docs" / "registers.md").read_text() == document.document(), (
        "write it again: python -m agent.maps.document > docs/registers.md"
    )


def test_rows_carry_where_scale_unit_and_how_sure_they_are() -> None:
    lines = document.document().splitlines()
    assert (
        "| tx_power_watts | Page 11h, bytes 154-169 | U16 x 8 lanes | 1e-07 watts | 01h byte 160 bit 1 |  |  |"
        in lines
    )
    assert "| rx_los | Page 11h, byte 147 | 1 bit x 8 lanes |  | 01h byte 158 bit 1 | yes |  |" in lines
    assert any(line.startswith("| 53_1ghz |") and line.endswith("| copper attenuation, dB |") for line in lines)
    assert any(line.startswith("| banks | byte 70") and line.endswith("**[1]** |") for line in lines)


def test_every_field_of_cmis_is_listed() -> None:
    text = document.document()
    assert all(f"| {row.ref} |" in text for row in cmis_fields.fields())
