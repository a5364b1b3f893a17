//! telexd-scripted-agent
