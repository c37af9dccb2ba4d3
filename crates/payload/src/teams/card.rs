//! The elements of an Adaptive Card 1.4 that our messages use.

use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Message {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) attachments: [Attachment; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attachment {
    pub(super) content_type: &'static str,
    pub(super) content_url: Option<&'static str>,
    pub(super) content: Card,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Card {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(rename = "$schema")]
    pub(super) schema: &'static str,
    pub(super) version: &'static str,
    pub(super) fallback_text: String,
    pub(super) body: Vec<Element>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) actions: Vec<Action>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub(super) enum Element {
    Container {
        style: &'static str,
        bleed: bool,
        items: Vec<Element>,
    },
    ColumnSet {
        columns: Vec<Column>,
    },
    FactSet {
        facts: Vec<FactRow>,
    },
    /// Text with markup.
    TextBlock {
        text: String,
        wrap: bool,
        #[serde(flatten)]
        style: Style,
        #[serde(skip_serializing_if = "Option::is_none")]
        spacing: Option<&'static str>,
    },
    /// Text without markup.
    RichTextBlock {
        inlines: Vec<TextRun>,
        #[serde(skip_serializing_if = "Option::is_none")]
        spacing: Option<&'static str>,
    },
}

#[derive(Serialize)]
pub(super) struct Column {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) width: &'static str,
    pub(super) spacing: &'static str,
    pub(super) items: Vec<Element>,
}

/// A word and text with markup beside it.
#[derive(Serialize)]
pub(super) struct FactRow {
    pub(super) title: &'static str,
    pub(super) value: String,
}

#[derive(Serialize)]
pub(super) struct TextRun {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) text: String,
    #[serde(flatten)]
    pub(super) style: Style,
}

/// How text looks; what is absent is as usual.
#[derive(Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Style {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) weight: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) color: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_subtle: bool,
}

#[derive(Serialize)]
pub(super) struct Action {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) title: &'static str,
    pub(super) url: String,
}

impl Style {
    pub(super) const PLAIN: Self = Self { size: None, weight: None, color: None, is_subtle: false };
    pub(super) const SUBTLE: Self = Self { is_subtle: true, ..Self::PLAIN };
    pub(super) const SMALL: Self = Self { size: Some("Small"), ..Self::SUBTLE };
    pub(super) const BOLD: Self = Self { weight: Some("Bolder"), ..Self::PLAIN };
    pub(super) const TITLE: Self = Self { size: Some("Large"), ..Self::BOLD };
    pub(super) const NAME: Self = Self { size: Some("Medium"), ..Self::BOLD };

    /// A large number.
    pub(super) const fn number(color: &'static str) -> Self {
        Self { size: Some("ExtraLarge"), color: Some(color), ..Self::BOLD }
    }
}

impl Element {
    pub(super) fn block(text: String, style: Style) -> Self {
        Self::TextBlock { text, wrap: true, style, spacing: None }
    }

    pub(super) fn runs(inlines: Vec<TextRun>) -> Self {
        Self::RichTextBlock { inlines, spacing: None }
    }

    /// Close to what stands above it.
    pub(super) fn close(mut self) -> Self {
        if let Self::TextBlock { spacing, .. } | Self::RichTextBlock { spacing, .. } = &mut self {
            *spacing = Some("Small");
        }
        self
    }
}

impl TextRun {
    pub(super) fn new(text: impl Into<String>, style: Style) -> Self {
        Self { kind: "TextRun", text: text.into(), style }
    }
}

impl Column {
    /// As wide as what stands in it, well apart from its neighbours.
    pub(super) fn new(items: Vec<Element>) -> Self {
        Self { kind: "Column", width: "auto", spacing: "Medium", items }
    }
}

impl Action {
    pub(super) fn open(title: &'static str, url: &str) -> Self {
        Self { kind: "Action.OpenUrl", title, url: url.to_owned() }
    }
}
